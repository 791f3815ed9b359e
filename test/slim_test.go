package test_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// heavy are the packages, each with all below it, that the slim program must not link.
var heavy = []string{
	"crypto/tls", "crypto/x509", "database/sql", "net/http",
	"github.com/aws", "github.com/fergusstrange", "github.com/golang-jwt", "github.com/jackc", "github.com/pressly", "github.com/prometheus",
	"github.com/valyala/fasthttp",
	"github.com/retainwise/millrace/bench", "github.com/retainwise/millrace/migrations", "github.com/retainwise/millrace/store/objects",
}

// TestSlimProgramIsSmall checks what the slim program links on every platform: nothing of the network but names, no driver, no
// server. The full program, which links all of it, shows that the list is current.
func TestSlimProgramIsSmall(t *testing.T) {
	for _, platform := range []string{"linux/amd64", "linux/arm64", "darwin/arm64", "windows/amd64"} {
		slim := linked(t, platform, "./cli/slim")
		for _, name := range slim {
			if name == "net" || name == module+"/serve" || name == module+"/store" {
				t.Errorf("%s: the slim program links %s", platform, name)
			}
			for _, prefix := range heavy {
				if within(name, prefix) {
					t.Errorf("%s: the slim program links %s", platform, name)
				}
			}
		}
		if len(slim) < 100 {
			t.Errorf("%s: only %d packages: %q", platform, len(slim), slim)
		}
	}
	full := linked(t, "linux/amd64", ".")
	for _, prefix := range heavy {
		found := false
		for _, name := range full {
			found = found || within(name, prefix)
		}
		if !found {
			t.Errorf("the full program does not link %s: the list is stale", prefix)
		}
	}
}

// linked returns the packages that a program links on a platform.
func linked(t *testing.T, platform, program string) []string {
	t.Helper()
	system, processor, _ := strings.Cut(platform, "/")
	cmd := exec.Command("go", "list", "-deps", program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+processor)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.Fields(string(out))
}
