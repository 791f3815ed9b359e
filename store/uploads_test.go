package store_test

import (
	"testing"

	"github.com/retainwise/millrace/store"
)

func TestNewID(t *testing.T) {
	before := store.NewID()
	for range 100 {
		next := store.NewID()
		if next.Version() != 7 || next.String() <= before.String() {
			t.Fatalf("%s behind %s", next, before)
		}
		before = next
	}
}
