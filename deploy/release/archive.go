package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// writeArchive writes a folder of the archive's name with the files of the platform: zip for Windows, else tar.gz.
func (r release) writeArchive(out string, files []file) error {
	form, pack := ".tar.gz", packTar
	if r.system == "windows" {
		form, pack = ".zip", packZip
	}
	var own []file
	for _, f := range files {
		if f.system == "" || f.system == r.system {
			f.name = path.Join(r.name(), f.name)
			own = append(own, f)
		}
	}
	slices.SortFunc(own, func(a, b file) int { return strings.Compare(a.name, b.name) })
	content, err := pack(own, r.moment)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, r.name()+form), content, 0o644)
}

// packTar makes a tar.gz whose files are root's and of one time.
func packTar(files []file, moment time.Time) ([]byte, error) {
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	for _, f := range files {
		header := &tar.Header{
			Name: f.name, Mode: int64(f.mode), Size: int64(len(f.content)), ModTime: moment,
			Uname: "root", Gname: "root", Format: tar.FormatUSTAR,
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed(plain.Bytes())
}

// packZip makes a zip whose files are of one time, in UTC.
func packZip(files []file, moment time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: moment.UTC()}
		header.SetMode(f.mode)
		entry, err := w.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := entry.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

const sumsFile = "SHA256SUMS"

// writeSums writes the digest of every file in a directory, for sha256sum -c.
func writeSums(dir string) error {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, e := range entries {
		sum, err := digest(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sum, e.Name())
	}
	return os.WriteFile(filepath.Join(dir, sumsFile), []byte(sums.String()), fs.FileMode(0o644))
}

func digest(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return sum.Sum(nil), errors.Join(err, f.Close())
}
