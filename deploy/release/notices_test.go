package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// The real program: each module in it, on any of its platforms, is named, and so are parts with terms of their own.
func TestNoticesNameEverything(t *testing.T) {
	platforms := []string{"linux/amd64", "windows/amd64"}
	text, err := collectNotices(t.Context(), root, platforms)
	if err != nil {
		t.Fatal(err)
	}
	notices := string(text)
	for _, platform := range platforms {
		system, machine, _ := strings.Cut(platform, "/")
		modules, err := output(t.Context(), root, release{system: system, machine: machine}.environment(),
			"go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}", ".")
		if err != nil {
			t.Fatal(err)
		}
		names := strings.Fields(strings.ReplaceAll(string(modules), " ", "@"))
		if len(names) < 100 {
			t.Errorf("%s: %d packages", platform, len(names))
		}
		for _, name := range names {
			if !strings.Contains(notices, "\n"+strings.Replace(name, "@", " ", 1)+"\n") {
				t.Errorf("%s is not named", name)
			}
		}
	}
	for _, want := range []string{
		"Go standard library go1.", "swagger-ui-dist 5.", "redoc 2.", "Snappy-Go", "Rebilly", "Apache License",
	} {
		if !strings.Contains(notices, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestNoticesRefuseWhatHasNoTerms(t *testing.T) {
	empty, blank := t.TempDir(), t.TempDir()
	write(t, filepath.Join(empty, "licence.go"), "package x")
	write(t, filepath.Join(blank, "COPYING"), " \n")
	for _, dir := range []string{empty, blank} {
		if err := addFolders(map[string][]string{}, "example.com/x v1", []string{dir}); err == nil || !strings.Contains(err.Error(), "example.com/x v1") {
			t.Errorf("%v", err)
		}
	}
}

func TestNoticesPrintATextOnce(t *testing.T) {
	texts := map[string][]string{}
	for _, name := range []string{"b", "a", "c"} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "LICENSE.txt"), fmt.Sprintf("terms%v\r\n", name == "c"))
		if err := addFolders(texts, name, []string{dir, dir}); err != nil {
			t.Fatal(err)
		}
	}
	line := strings.Repeat("=", 80)
	want := "\n" + line + "\na\nb\n" + line + "\n\ntermsfalse\n\n" + line + "\nc\n" + line + "\n\ntermstrue\n"
	if _, got, _ := strings.Cut(string(layOut(texts)), "\n"); got != want {
		t.Errorf("got %s", got)
	}
}
