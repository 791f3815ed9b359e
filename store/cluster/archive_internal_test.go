//go:build unix

package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckArchives(t *testing.T) {
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	digest := func(name string) string {
		return map[string]string{"good.txz": abc, "bad.txz": strings.Repeat("0", 64)}[name]
	}
	for _, test := range []struct {
		file, want, said string
		stays            bool
	}{
		{file: "good.txz", stays: true},
		{file: "bad.txz", want: "has the SHA-256 " + abc},
		{file: "other.txz", said: abc, stays: true},
		{file: "temp_1", want: "no archive", stays: true},
	} {
		path := filepath.Join(t.TempDir(), test.file)
		if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
			t.Fatal(err)
		}
		said := ""
		err := checkArchives(filepath.Dir(path), digest, func(line string) { said += line })
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v", test.file, err)
		}
		if !strings.Contains(said, test.said) || test.said == "" && said != "" {
			t.Errorf("%s: said %q", test.file, said)
		}
		if _, err := os.Stat(path); (err == nil) != test.stays {
			t.Errorf("%s: %v", test.file, err)
		}
	}
	if err := checkArchives("[", digest, nil); err == nil {
		t.Error("a bad pattern")
	}
}
