package cli

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestManualPage checks that the page has every command and flag, in lines that roff does not take for requests.
func TestManualPage(t *testing.T) {
	app, err := kong.New(new(slimCommands), kong.Name("millrace"))
	if err != nil {
		t.Fatal(err)
	}
	status, page, messages := command(t, "", "man")
	if status != 0 || !strings.HasPrefix(page, ".TH MILLRACE 1\n") {
		t.Fatalf("status %d: %s", status, messages)
	}
	flags := 0
	for _, node := range app.Model.Leaves(true) {
		if name := ".SS millrace " + roff(node.Path()); !strings.Contains(page, name) {
			t.Errorf("no %q", name)
		}
		for _, f := range node.Flags {
			if flags++; !strings.Contains(page, ".B "+roff("--"+f.Name)) {
				t.Errorf("no --%s", f.Name)
			}
		}
	}
	if flags < 50 {
		t.Errorf("%d flags", flags)
	}
	for _, line := range strings.Split(page, "\n") {
		request, _, _ := strings.Cut(line, " ")
		if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") &&
			!strings.Contains(" .TH .SH .SS .TP .PP .B ", " "+request+" ") {
			t.Errorf("a request: %q", line)
		}
	}
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{
		"a-b": `a\-b`, `\n`: `\en`, ".ds": `\&.ds`, "'x'": `\&'x'`, "two\n lines": "two lines",
	} {
		if got := roff(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
