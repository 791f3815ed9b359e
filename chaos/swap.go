package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// bundleSource is a bundle that every process has under another name.
const bundleSource = "../engine/baseline/telecom"

// bundleName is what the bundle is called that is swapped. There are two kinds of it, which follow each other: one with
// the texts of telecom, and one with another word in the explanations. Their versions begin with the kind.
const bundleName = "mine"

const (
	kindPlain  = "1."
	kindEdited = "2."
)

func kindOf(n int) string { return []string{kindPlain, kindEdited}[n%2] }

// bundles is a directory for serve --bundles.
type bundles struct{ dir string }

// put swaps a bundle in at once: what is served is a link to a directory of its own. It returns its version.
func (b bundles) put(n int) (version string, err error) {
	version = fmt.Sprint(kindOf(n), n)
	target := ".version-" + version
	if err := writeBundle(filepath.Join(b.dir, target), kindOf(n), version); err != nil {
		return "", err
	}
	link := filepath.Join(b.dir, ".next")
	if err := os.Symlink(target, link); err != nil {
		return "", err
	}
	return version, os.Rename(link, filepath.Join(b.dir, bundleName))
}

// writeBundle makes a bundle of a kind, its manifest last.
func writeBundle(dir, kind, version string) error {
	entries, err := os.ReadDir(bundleSource)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var manifest bytes.Buffer
	for _, e := range entries {
		if e.Name() == "manifest.sha256" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(bundleSource, e.Name()))
		if err != nil {
			return err
		}
		if e.Name() == "bundle.yaml" {
			text = editBundle(text, kind, version)
		}
		fmt.Fprintf(&manifest, "%x  %s\n", sha256.Sum256(text), e.Name())
		if err := os.WriteFile(filepath.Join(dir, e.Name()), text, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "manifest.sha256"), manifest.Bytes(), 0o600)
}

func editBundle(yaml []byte, kind, version string) []byte {
	edit := strings.NewReplacer("name: telecom\n", "name: "+bundleName+"\n", "version: '1'\n", "version: '"+version+"'\n")
	if kind == kindEdited {
		edit = strings.NewReplacer("name: telecom\n", "name: "+bundleName+"\n", "version: '1'\n", "version: '"+version+"'\n",
			"high monthly charges", "steep monthly charges", "long tenure", "lasting tenure")
	}
	return []byte(edit.Replace(string(yaml)))
}

// swapBundle swaps the bundle while predictions that were accepted with it wait, and restarts all processes. The API and
// half of the workers have the directory, the others no bundle at all. That every prediction is scored with the bundle
// that it was accepted with is for the checker to see.
func (d *disturber) swapBundle(ctx context.Context, n int) error {
	var open int
	err := d.until(ctx, "a prediction with the bundle waits", func() (bool, error) {
		err := d.db.QueryRow(ctx, `
			SELECT count(*) FROM predictions WHERE model_name = $1 AND status IN ('queued', 'running')`, bundleName).Scan(&open)
		return open > 0, err
	})
	if err != nil {
		return err
	}
	version, err := d.bundles.put(n + 1)
	if err != nil {
		return err
	}
	for _, p := range append([]*process{d.api}, d.workers...) {
		p.signal(syscall.SIGTERM)
	}
	d.write("swapped the bundle to %s, with %d predictions under way", version, open)
	return d.until(ctx, "the API has the new bundle", func() (bool, error) { return d.serves(ctx, version), nil })
}

// serves reports whether the API has a version of the bundle in use.
func (d *disturber) serves(ctx context.Context, version string) bool {
	_, body, err := d.client.do(ctx, http.MethodGet, d.client.admin+"/bundles", "", "", nil)
	var page struct {
		Bundles []struct{ Name, Version string }
	}
	if err != nil || json.Unmarshal(body, &page) != nil {
		return false
	}
	for _, b := range page.Bundles {
		if b.Name == bundleName {
			return b.Version == version
		}
	}
	return false
}
