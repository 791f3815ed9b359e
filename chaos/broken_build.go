package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// bug is a line that does something else in a process with the word in BROKEN.
type bug struct {
	word, path, before string // the line, which stands once in the file
	then               string // in front of it
}

// bugs are what a bad release, or a bad machine, does: nothing from outside makes a sound millrace do it.
var bugs = []bug{
	{"leaves", "engine/check.go", "	if differing > 0 {\n", "differing = checked"},
	{
		"rows", "engine/worker.go", "	if out.Tally.Scored+out.Tally.Rejected != out.Tally.Rows {\n",
		"out.Tally.Scored--",
	},
	{
		"bytes", "engine/worker.go", "	out.Rejects = w.rejects.append(out.Rejects[:0], s.seq, s.chunk, batch.Rejects)\n",
		"out.Result[len(out.Result)-2] ^= 1",
	},
}

// brokenFile is added to package engine.
const brokenFile = `package engine

import (
	"os"
	"strings"
)

func broken(word string) bool { return strings.Contains(os.Getenv("BROKEN"), word) }
`

// overlay writes what go build -overlay wants for the bugs into dir, and returns its name.
func overlay(root, dir string) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	changed := map[string][]byte{filepath.Join(root, "engine/broken.go"): []byte(brokenFile)}
	for _, b := range bugs {
		name := filepath.Join(root, b.path)
		text, ok := changed[name]
		if !ok {
			if text, err = os.ReadFile(name); err != nil {
				return "", err
			}
		}
		if n := bytes.Count(text, []byte(b.before)); n != 1 {
			return "", fmt.Errorf("%s: the line of the bug %q stands there %d times", b.path, b.word, n)
		}
		with := fmt.Sprintf("	if broken(%q) {\n		%s\n	}\n%s", b.word, b.then, b.before)
		changed[name] = bytes.Replace(text, []byte(b.before), []byte(with), 1)
	}
	replace := map[string]string{}
	for name, text := range changed {
		replace[name] = filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(replace[name], text, 0o600); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	return list, os.WriteFile(list, text, 0o600)
}

// brokenBuild builds a millrace with the bugs, which sleep until BROKEN wakes them.
func brokenBuild(ctx context.Context, root, dir string) (string, error) {
	dir = filepath.Join(dir, "broken")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	list, err := overlay(root, dir)
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "millrace")
	command := exec.CommandContext(ctx, "go", "build", "-overlay", list, "-trimpath", "-ldflags", "-s -w", "-o", program, ".")
	command.Dir, command.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if said, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build with bugs: %w: %s", err, said)
	}
	return program, nil
}
