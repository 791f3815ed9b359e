package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// notice is one text and everything that it is the licence of.
type notice struct {
	of   []string
	text string
}

// licenceName matches the files that say under which terms a folder is.
var licenceName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|copyright)([-._].*)?$`)

// collectNotices gathers the texts of all modules that the program consists of on the platforms, of the Go library, and
// of the pages that are embedded. What has no text is an error.
func collectNotices(ctx context.Context, root string, platforms []string) ([]byte, error) {
	folders := map[string][]string{} // by "module version"
	for _, platform := range platforms {
		if err := addPackages(ctx, root, platform, folders); err != nil {
			return nil, err
		}
	}
	goroot, err := output(ctx, root, nil, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	folders["Go standard library "+runtime.Version()] = []string{strings.TrimSpace(string(goroot))}
	assets, err := embeddedPages(root)
	if err != nil {
		return nil, err
	}
	texts := map[string][]string{}
	for _, a := range assets {
		for _, name := range a.licences {
			if err := addText(texts, filepath.Join(root, pagesFolder, name), a.name+" "+a.version); err != nil {
				return nil, err
			}
		}
	}
	for module, dirs := range folders {
		if err := addFolders(texts, module, dirs); err != nil {
			return nil, err
		}
	}
	return layOut(texts), nil
}

// addPackages finds the folder of every package in the program that is a third party's, and those above it within its
// module: a part of a module may have other terms than the whole.
func addPackages(ctx context.Context, root, platform string, folders map[string][]string) error {
	system, machine, _ := strings.Cut(platform, "/")
	listed, err := output(ctx, root, release{system: system, machine: machine}.environment(),
		"go", "list", "-deps", "-json=Dir,Standard,Module", ".")
	if err != nil {
		return err
	}
	for d := json.NewDecoder(bytes.NewReader(listed)); ; {
		var p struct {
			Dir      string
			Standard bool
			Module   *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if p.Standard || p.Module.Main {
			continue
		}
		module := p.Module.Path + " " + p.Module.Version
		for dir := p.Dir; len(dir) >= len(p.Module.Dir); dir = filepath.Dir(dir) {
			if !slices.Contains(folders[module], dir) {
				folders[module] = append(folders[module], dir)
			}
		}
	}
}

// addFolders adds the texts that lie in the folders of a module.
func addFolders(texts map[string][]string, module string, dirs []string) error {
	found := false
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Type().IsRegular() && licenceName.MatchString(e.Name()) && filepath.Ext(e.Name()) != ".go" {
				if err := addText(texts, filepath.Join(dir, e.Name()), module); err != nil {
					return err
				}
				found = true
			}
		}
	}
	if !found {
		return fmt.Errorf("%s has no licence text", module)
	}
	return nil
}

func addText(texts map[string][]string, name, of string) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	text := strings.TrimSpace(strings.ToValidUTF8(strings.ReplaceAll(string(content), "\r\n", "\n"), "?"))
	if text == "" {
		return fmt.Errorf("%s: %s is empty", of, filepath.Base(name))
	}
	if !slices.Contains(texts[text], of) {
		texts[text] = append(texts[text], of)
	}
	return nil
}

// layOut prints each text once, below the names of everything it is for, in the order of the names.
func layOut(texts map[string][]string) []byte {
	var notices []notice
	for text, of := range texts {
		slices.Sort(of)
		notices = append(notices, notice{of, text})
	}
	slices.SortFunc(notices, func(a, b notice) int {
		if order := slices.Compare(a.of, b.of); order != 0 {
			return order
		}
		return strings.Compare(a.text, b.text)
	})
	var out bytes.Buffer
	out.WriteString("Millrace contains the work of others, under the terms below. Its own are in LICENSE.\n")
	for _, n := range notices {
		fmt.Fprintf(&out, "\n%s\n%s\n%[1]s\n\n%[3]s\n", strings.Repeat("=", 80), strings.Join(n.of, "\n"), n.text)
	}
	return out.Bytes()
}
