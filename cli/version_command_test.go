package cli

import (
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/retainwise/millrace/serve/codes"
)

func TestVersion(t *testing.T) {
	status, out, _ := command(t, "", "version")
	if status != 0 {
		t.Fatalf("status %d", status)
	}
	for _, want := range []string{
		`(?m)^millrace \S`, `(?m)^  commit +\S`, `(?m)^  go +` + regexp.QuoteMeta(runtime.Version()) + `$`,
		`(?m)^  kernel: read rows +(avx512|avx2|portable)$`, `(?m)^  kernel: convert cells +(avx512|portable)$`,
		`(?m)^  kernel: score +(avx512|avx2|portable)$`, `(?m)^  kernel: explain +(avx512|avx2|portable)$`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%s does not match\n%s", want, out)
		}
	}
	if status, line, _ := command(t, "", "--version"); status != 0 || strings.Count(line, "\n") != 1 ||
		!strings.HasPrefix(line, "millrace ") || !strings.Contains(line, runtime.Version()) {
		t.Errorf("--version: status %d: %s", status, line)
	}
}

// TestHelpCommand checks that help COMMAND, COMMAND --help and no command at all print help.
func TestHelpCommand(t *testing.T) {
	for _, test := range []struct{ with, without string }{
		{"help", ""}, {"help score", "score --help"}, {"help model verify", "model verify --help"},
	} {
		status, out, _ := command(t, "", strings.Fields(test.with)...)
		other, want, _ := command(t, "", strings.Fields(test.without)...)
		if status != 0 || other != 0 || out != want || !strings.HasPrefix(out, "Usage: millrace ") {
			t.Errorf("%q: status %d and %d: %s", test.with, status, other, out)
		}
	}
	if status, _, messages := command(t, "", "help", "nothing"); status != 64 || !strings.Contains(messages, "nothing") {
		t.Errorf("help of no command: status %d: %s", status, messages)
	}
}

// TestExplain checks that every code has a page with its words and a way out, without a server.
func TestExplain(t *testing.T) {
	pages := codes.Pages()
	_, list, _ := command(t, "", "explain")
	for _, page := range pages {
		status, out, messages := command(t, "", "explain", strings.ToLower(page.Code))
		text := strings.Join(strings.Fields(out), " ")
		if status != 0 || !strings.HasPrefix(out, page.Code+" "+page.Title+"\n") || !strings.Contains(text, page.Message) ||
			!strings.Contains(text, "What you can do "+page.Advice) || !strings.Contains(list, page.Code+"  "+page.Title) {
			t.Errorf("%s: status %d: %s%s", page.Code, status, out, messages)
		}
		for _, line := range strings.Split(out, "\n") {
			if len([]rune(line)) > 80 {
				t.Errorf("%s: longer than 80 columns: %s", page.Code, line)
			}
		}
	}
	if status, _, messages := command(t, "", "explain", "ERR-9999"); status != 64 || !strings.Contains(messages, "ERR-9999") {
		t.Errorf("no code: status %d: %s", status, messages)
	}
	if len(pages) < 60 {
		t.Errorf("%d codes", len(pages))
	}
}
