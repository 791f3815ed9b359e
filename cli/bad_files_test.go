package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBadFilesGetTheirCodes checks the codes and the scored and rejected rows of every file in testdata/samples/bad.
func TestBadFilesGetTheirCodes(t *testing.T) {
	dir := "testdata/samples/bad"
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var files []struct {
		File             string
		Codes            []int
		Scored, Rejected int
	}
	if err := json.Unmarshal(text, &files); err != nil || len(files) == 0 {
		t.Fatalf("%d files (%v)", len(files), err)
	}
	for _, f := range files {
		status, _, messages := command(t, "", "score", "--model", "telecom", "--out", filepath.Join(t.TempDir(), "out.csv"),
			filepath.Join(dir, f.File))
		for _, code := range f.Codes {
			if !strings.Contains(messages, fmt.Sprintf("ERR-%d", code)) {
				t.Errorf("%s: no ERR-%d in %q", f.File, code, messages)
			}
		}
		if n := strings.Count(messages, "ERR-"); len(f.Codes) == 0 && n > 0 {
			t.Errorf("%s: %q", f.File, messages)
		}
		refused := f.Scored == 0 && f.Rejected == 0
		if few := f.Scored < f.Rejected; (refused || few) != (status == ExitData) || status != ExitDone && status != ExitData {
			t.Errorf("%s: status %d: %q", f.File, status, messages)
		} else if refused {
			continue
		}
		if counts := fmt.Sprintf("%d scored, %d rejected", f.Scored, f.Rejected); !strings.Contains(messages, counts) {
			t.Errorf("%s: not %s: %q", f.File, counts, messages)
		}
	}
}
