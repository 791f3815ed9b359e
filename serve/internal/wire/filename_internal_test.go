package wire

import (
	"strings"
	"testing"
)

// Any name becomes one that can be kept and shown.
func TestCleanFilename(t *testing.T) {
	for given, want := range map[string]string{
		"march.csv": "march.csv", "a/b/march.csv": "march.csv", `C:\files\march.csv`: "march.csv", "../../x.csv": "x.csv",
		"ma\u200brch.csv": "ma_rch.csv", "m\xffarch.csv": "m_arch.csv", "Zürich.csv": "Zürich.csv",
		"Zu\u0308rich.csv": "Zürich.csv", "": "file", "/": "file", ".": "file", "a/": "a",
		strings.Repeat("é", 200) + ".csv": strings.Repeat("é", 125) + ".csv",
	} {
		if got := CleanFilename(given); got != want {
			t.Errorf("%q becomes %q, want %q", given, got, want)
		}
	}
}
