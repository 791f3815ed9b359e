package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// packageText is the configuration of nfpm.
//
//go:embed nfpm.yaml.tmpl
var packageText string

// entry is a file of a package.
type entry struct {
	Src, Dst, Mode string
	Settings       bool // what an administrator has changed stays
}

// placed says where a package puts the files of an archive; what is not named goes to the documentation.
var placed = map[string]string{
	"millrace": "/usr/bin/millrace",
	unitFile:   "/usr/lib/systemd/system/" + unitFile,
	manualFile: "/usr/share/man/man1/" + manualFile + ".gz",
	bashFile:   "/usr/share/bash-completion/completions/millrace",
	fishFile:   "/usr/share/fish/vendor_completions.d/" + fishFile,
}

// The service's user, and where its variables go: only root may read them.
var packaged = []struct {
	file
	to       string
	settings bool
}{
	{file{name: "sysusers.conf", mode: 0o644}, "/usr/lib/sysusers.d/millrace.conf", false},
	{file{name: "environment", mode: 0o600}, "/etc/millrace/environment", true},
}

// writePackages makes deb and rpm of the files.
func (r release) writePackages(ctx context.Context, tools, out, source string, files []file) error {
	dir := filepath.Join(filepath.Dir(r.program), "package")
	entries, err := r.stage(dir, source, files)
	if err != nil {
		return fmt.Errorf("stage package: %w", err)
	}
	settings := filepath.Join(dir, "nfpm.yaml")
	if err := r.writeSettings(settings, source, entries); err != nil {
		return fmt.Errorf("write settings of nfpm: %w", err)
	}
	epoch := []string{"SOURCE_DATE_EPOCH=" + strconv.FormatInt(r.moment.Unix(), 10)}
	for _, form := range []string{"deb", "rpm"} {
		target := filepath.Join(out, r.name()+"."+form)
		if _, err := output(ctx, dir, epoch, filepath.Join(tools, "nfpm"),
			"package", "--config", settings, "--packager", form, "--target", target); err != nil {
			return err
		}
	}
	return nil
}

// stage writes the files as a package has them and says where they go.
func (r release) stage(dir, source string, files []file) ([]entry, error) {
	var entries []entry
	add := func(f file, to string, keep bool) error {
		at := filepath.Join(dir, f.name)
		entries = append(entries, entry{at, to, fmt.Sprintf("%#o", f.mode), keep})
		return errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(at, f.content, 0o644))
	}
	for _, f := range files {
		to, known := placed[f.name]
		if !known {
			to = "/usr/share/doc/millrace/" + f.name
		}
		var err error
		switch f.name {
		case unitFile:
			f.content, err = installedUnit(f.content)
		case manualFile:
			f.content, err = packed(f.content)
		}
		if err = errors.Join(err, add(f, to, false)); err != nil {
			return nil, err
		}
	}
	for _, p := range packaged {
		content, err := os.ReadFile(filepath.Join(source, "deploy", "systemd", p.name))
		if err != nil {
			return nil, err
		}
		if err := add(file{name: p.name, mode: p.mode, content: content}, p.to, p.settings); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// installedUnit is the unit for the place that a package puts the program in.
func installedUnit(unit []byte) ([]byte, error) {
	const own = "ExecStart=/usr/local/bin/millrace "
	if strings.Count(string(unit), own) != 1 {
		return nil, errors.New("the unit does not start /usr/local/bin/millrace")
	}
	return []byte(strings.Replace(string(unit), own, "ExecStart="+placed["millrace"]+" ", 1)), nil
}

func (r release) writeSettings(name, source string, entries []entry) error {
	t, err := template.New("nfpm").Parse(packageText)
	if err != nil {
		return err
	}
	var text strings.Builder
	err = t.Execute(&text, map[string]any{
		"Machine": r.machine, "Version": r.version, "Moment": r.moment.UTC().Format(time.RFC3339), "Entries": entries,
		"Scripts": filepath.Join(source, "deploy", "systemd"),
	})
	if err != nil {
		return err
	}
	return os.WriteFile(name, []byte(text.String()), 0o644)
}
