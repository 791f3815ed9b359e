package objects_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store/objects"
)

// Keys are in object stores and in the database: changing one loses what was stored under it.
func TestKeys(t *testing.T) {
	id := uuid.MustParse("019a0000-0000-7000-8000-000000000001")
	wantEqual(t, "input", objects.InputKey(id), "uploads/019a0000-0000-7000-8000-000000000001/input.csv")
	wantEqual(t, "result", objects.ResultKey(id, 2, objects.ResultName),
		"results/019a0000-0000-7000-8000-000000000001/2/result.csv")
	wantEqual(t, "part", objects.PartKey(id, 3, 17, objects.RejectsName),
		"results/019a0000-0000-7000-8000-000000000001/3/parts/00017-rejects.csv")
	wantEqual(t, "snapshot", objects.SnapshotKey(id, 3, 17),
		"results/019a0000-0000-7000-8000-000000000001/3/snapshot/00017")
}
