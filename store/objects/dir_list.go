package objects

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// List implements [Store].
func (d *directory) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		dir := path.Dir(prefix + "x") // the directory that all such keys share
		if dir != "." && checkKey(dir) != nil {
			yield(Info{}, fmt.Errorf("list objects: %w", ErrKey))
			return
		}
		d.walk(ctx, dir, prefix, yield)
	}
}

// walk visits a directory in the order of keys, in which a directory's name counts with its slash.
func (d *directory) walk(ctx context.Context, dir, prefix string, yield func(Info, error) bool) bool {
	entries, err := d.readDir(dir)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return yield(Info{}, fmt.Errorf("list objects: %w", err))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(listName(a), listName(b)) })
	for _, e := range entries {
		if !d.visit(ctx, path.Join(dir, e.Name()), e, prefix, yield) {
			return false
		}
	}
	return true
}

func (d *directory) visit(
	ctx context.Context, key string, e fs.DirEntry, prefix string, yield func(Info, error) bool,
) bool {
	switch {
	case e.Name()[0] == '.':
		return true
	case e.IsDir():
		within := strings.HasPrefix(key+"/", prefix) || strings.HasPrefix(prefix, key+"/")
		return !within || d.walk(ctx, key, prefix, yield)
	case !strings.HasPrefix(key, prefix) || !e.Type().IsRegular():
		return true
	}
	stat, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return true // removed meanwhile
	}
	if err != nil {
		return yield(Info{}, fmt.Errorf("list objects: %w", err))
	}
	return yield(Info{Key: key, Bytes: stat.Size(), Modified: stat.ModTime()}, nil)
}

func listName(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

func (d *directory) readDir(dir string) ([]fs.DirEntry, error) {
	if stat, err := d.root.Stat(dir); errors.Is(err, fs.ErrNotExist) || err == nil && !stat.IsDir() {
		return nil, nil
	}
	file, err := d.root.Open(dir)
	if err != nil {
		return nil, ignoreNotExist(err)
	}
	defer func() { _ = file.Close() }()
	return file.ReadDir(-1)
}

// abandonedAge is the age from which an unlocked temporary file counts as abandoned: some are never locked, but renamed at
// once.
const abandonedAge = 10 * time.Minute

// abandoned reports whether no process can be writing a temporary file any more, at the latest when it is older than age.
// Where there are no locks, only its age counts.
func (d *directory) abandoned(name string, stat fs.FileInfo, age time.Duration) bool {
	silent := time.Since(stat.ModTime())
	if silent < min(age, abandonedAge) {
		return false
	}
	file, err := d.root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return silent >= age
	}
	defer func() { _ = file.Close() }()
	locked, err := tryLock(file)
	return locked || err != nil && silent >= age
}

// Sweep implements [Store]. The files of a process that has ended are removed before they are as old as age.
func (d *directory) Sweep(ctx context.Context, age time.Duration, allow func(string) error) (int, error) {
	swept := 0
	visit := func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !strings.HasPrefix(e.Name(), temporaryPrefix) {
			return err
		}
		stat, err := e.Info()
		if err != nil || !d.abandoned(name, stat, age) {
			return ignoreNotExist(err)
		}
		if allow != nil {
			if err := allow(name); err != nil {
				return err
			}
		}
		swept++
		return ignoreNotExist(d.root.Remove(name))
	}
	for _, folder := range writtenFolders {
		if err := fs.WalkDir(d.root.FS(), path.Clean(folder), visit); err != nil {
			return swept, fmt.Errorf("sweep objects: %w", err)
		}
	}
	rest, err := d.readDir(".") // the mark lies beside the folders
	for _, e := range rest {
		if err == nil && !e.IsDir() {
			err = visit(e.Name(), e, nil)
		}
	}
	if err != nil {
		return swept, fmt.Errorf("sweep objects: %w", err)
	}
	return swept, nil
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
