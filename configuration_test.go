package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestConfigurationPageIsCurrent holds the table of docs/operations.md against the flags of serve.
func TestConfigurationPageIsCurrent(t *testing.T) {
	var command serveCommand
	parser, err := kong.New(&command)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("| variable | flag | default | what |\n|---|---|---|---|\n")
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
	page, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), want.String()) {
		t.Errorf("docs/operations.md lacks this table:\n%s", want.String())
	}
}

func codeOrDash(text string) string {
	if text == "" {
		return "–"
	}
	return "`" + text + "`"
}
