package server

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

const configurationHead = "| variable | flag | default | what |\n|---|---|---|---|\n"

// TestConfigurationPageIsCurrent compares the table of docs/operations.md with the flags of serve. With UPDATE_PAGES in
// the environment it writes the table.
func TestConfigurationPageIsCurrent(t *testing.T) {
	var command serveCommand
	parser, err := kong.New(&command)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, group := range parser.Model.AllFlags(true) {
		for _, f := range group {
			if f.Name == "help" {
				continue
			}
			if len(f.Envs) == 0 && f.Name != "sample" {
				t.Errorf("--%s has no variable", f.Name)
			}
			fmt.Fprintf(&want, "| %s | `--%s` | %s | %s |\n", codeOrDash(strings.Join(f.Envs, ", ")), f.Name,
				codeOrDash(f.Default), strings.ReplaceAll(f.Help, "${enum}", f.Enum))
		}
	}
	const name = "docs/operations.md"
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), configurationHead)
	table, after, _ := strings.Cut(rest, "\n\n")
	switch {
	case !found:
		t.Errorf("%s has no table of the configuration", name)
	case os.Getenv("UPDATE_PAGES") != "":
		text := before + configurationHead + want.String() + "\n" + after
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	case table+"\n" != want.String():
		t.Errorf("the table in %s is stale: UPDATE_PAGES=1 go test -run ConfigurationPage ./cli/server\nwant\n%s", name, want.String())
	}
}

func codeOrDash(text string) string {
	if text == "" {
		return "–"
	}
	return "`" + text + "`"
}
