package cli

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/retainwise/millrace/store/cluster"
)

// A machine without PostgreSQL is not an internal error, and no published code adds anything to the sentence.
func TestMissingPostgreSQLHasItsOwnStatus(t *testing.T) {
	var messages bytes.Buffer
	status := fail(streams{err: &messages}, fmt.Errorf("start: %w", cluster.ErrNotInstalled))
	if want := "millrace: start: " + cluster.ErrNotInstalled.Error() + "\n"; status != 69 || messages.String() != want {
		t.Errorf("status %d: %s", status, &messages)
	}
}
