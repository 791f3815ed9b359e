package objects

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// A directory as object store: an object is the file named by its key. Beside it lies a hidden file with the ETag, a
// digest of the content; it is good if it names the file's size and time of change, else the file is read again.

const (
	temporaryPrefix = ".tmp-"
	etagPrefix      = ".etag-"
)

type directory struct {
	root *os.Root
}

// OpenDirectory opens a directory as object store, and creates it if it is not there. No key leads out of it, not even by
// a link.
func OpenDirectory(dir string) (Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open object directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open object directory: %w", err)
	}
	return &directory{root: root}, nil
}

// Put implements [Store].
func (d *directory) Put(ctx context.Context, key string, r io.Reader) (Info, error) {
	info, err := d.put(ctx, key, r, nil)
	if err != nil {
		return Info{}, fmt.Errorf("put object: %w", storageFull(err))
	}
	return info, nil
}

// put stores an object. known is its digest, or nil if that is to be made.
func (d *directory) put(ctx context.Context, key string, r io.Reader, known Digest) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	file, err := d.createTemporary(path.Dir(key))
	if err != nil {
		return Info{}, err
	}
	temporary := path.Join(path.Dir(key), filepath.Base(file.Name()))
	digest, blocks := sha256.New(), NewDigester()
	digests := []io.Writer{digest, blocks}
	if known != nil {
		digests = digests[:1]
	}
	err = fill(ctx, file, digests, r)
	var stat fs.FileInfo
	if err == nil {
		stat, err = d.setModTime(temporary)
	}
	if err == nil {
		err = d.root.Rename(temporary, key)
	}
	if err != nil {
		_ = d.root.Remove(temporary)
		return Info{}, err
	}
	info := Info{Key: key, Bytes: stat.Size(), Modified: stat.ModTime(), Digest: known}
	if known == nil {
		info.Digest = blocks.Sum(nil)
	}
	digest.Sum(info.SHA256[:0])
	info.ETag = `"` + hex.EncodeToString(info.SHA256[:16]) + `"`
	d.noteETag(key, stat, info.ETag)
	return info, d.sync(path.Dir(key))
}

// setModTime sets a file's time from the process's clock, which has nanoseconds where the file system's may not: two
// files of one key differ in it.
func (d *directory) setModTime(name string) (fs.FileInfo, error) {
	now := time.Now()
	if err := d.root.Chtimes(name, now, now); err != nil {
		return nil, err
	}
	return d.root.Stat(name)
}

// fill copies r into the file and its digests and makes it durable.
func fill(ctx context.Context, file *os.File, digests []io.Writer, r io.Reader) error {
	to := io.MultiWriter(append(digests, &writebackWriter{file: file})...)
	_, err := io.CopyBuffer(to, contextReader{ctx, r}, make([]byte, digestBlockBytes)) // a block read by Read is not copied
	return errors.Join(err, file.Sync(), file.Close())
}

// writebackBytes is how much of a file may be in memory only before it is written back.
const writebackBytes = 1 << 20

// writebackWriter starts writing a file back while it grows. At the end, a hundred megabytes would be one long write that
// delays every commit on the same disk.
type writebackWriter struct {
	file           *os.File
	size, awaiting int64
}

func (w *writebackWriter) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	w.size, w.awaiting = w.size+int64(n), w.awaiting+int64(n)
	if w.awaiting >= writebackBytes {
		startWriteback(w.file, w.size-w.awaiting, w.awaiting)
		w.awaiting = 0
	}
	return n, err
}

// contextReader ends a copy when its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// createTemporary makes a hidden file, locked while it is open as a sign that its writer lives, where the file system has
// locks. A delete that runs at the same time may remove an empty directory: try again.
func (d *directory) createTemporary(dir string) (*os.File, error) {
	name := path.Join(dir, temporaryPrefix+rand.Text())
	for attempt := 0; ; attempt++ {
		if err := d.mkdirAll(dir); err != nil {
			return nil, err
		}
		file, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			_, _ = tryLock(file)
		}
		if err == nil || attempt == 9 || !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
	}
}

// mkdirAll makes directories that survive a crash: a new one is in its parent for good before it is used.
func (d *directory) mkdirAll(dir string) error {
	if _, err := d.root.Stat(dir); err == nil || dir == "." {
		return nil
	}
	parent := path.Dir(dir)
	if err := d.mkdirAll(parent); err != nil {
		return err
	}
	if err := d.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.sync(parent)
}

func (d *directory) sync(dir string) error {
	file, err := d.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(syncDirectory(file), file.Close())
}

// noteETag caches an ETag in the hidden file. Errors are ignored: without it the object is read again.
func (d *directory) noteETag(key string, stat fs.FileInfo, etag string) {
	temporary := path.Join(path.Dir(key), temporaryPrefix+rand.Text())
	if err := d.root.WriteFile(temporary, []byte(etagNote(stat)+etag), 0o600); err == nil {
		err = d.root.Rename(temporary, etagFile(key))
		if err != nil {
			_ = d.root.Remove(temporary)
		}
	}
}

func etagFile(key string) string { return path.Join(path.Dir(key), etagPrefix+path.Base(key)) }

// etagNote identifies the file that an ETag belongs to.
func etagNote(stat fs.FileInfo) string {
	return fmt.Sprintf("%d %d ", stat.Size(), stat.ModTime().UnixNano())
}

// etag returns the ETag of an open file.
func (d *directory) etag(ctx context.Context, key string, file *os.File, stat fs.FileInfo) (string, error) {
	if note, err := d.root.ReadFile(etagFile(key)); err == nil {
		if etag, ok := strings.CutPrefix(string(note), etagNote(stat)); ok {
			return etag, nil
		}
	}
	digest := sha256.New()
	if _, err := io.Copy(digest, contextReader{ctx, io.NewSectionReader(file, 0, stat.Size())}); err != nil {
		return "", err
	}
	etag := `"` + hex.EncodeToString(digest.Sum(nil)[:16]) + `"`
	d.noteETag(key, stat, etag)
	return etag, nil
}

func (d *directory) open(ctx context.Context, key string) (*os.File, Info, error) {
	if err := checkKey(key); err != nil {
		return nil, Info{}, err
	}
	file, err := d.root.Open(key)
	if err != nil {
		return nil, Info{}, notFound(err)
	}
	stat, err := file.Stat()
	if err == nil && !stat.Mode().IsRegular() {
		err = ErrNotFound
	}
	var etag string
	if err == nil {
		etag, err = d.etag(ctx, key, file, stat)
	}
	if err != nil {
		_ = file.Close()
		return nil, Info{}, err
	}
	return file, Info{Key: key, Bytes: stat.Size(), ETag: etag, Modified: stat.ModTime()}, nil
}

// openVersion opens the newest version, as a directory keeps no other.
func (d *directory) openVersion(ctx context.Context, key, version string) (*os.File, Info, error) {
	if version != "" {
		return nil, Info{}, ErrNotFound
	}
	return d.open(ctx, key)
}

func notFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	return err
}

// Get implements [Store].
func (d *directory) Get(ctx context.Context, key string, r Range, ifMatch string) (io.ReadCloser, Info, error) {
	file, info, err := d.openVersion(ctx, key, r.Version)
	if err != nil {
		return nil, Info{}, fmt.Errorf("get object: %w", err)
	}
	length, err := checkRange(r, info.Bytes)
	if ifMatch != "" && ifMatch != info.ETag {
		err = ErrChanged
	}
	if err != nil {
		_ = file.Close()
		return nil, Info{}, fmt.Errorf("get object: %w", err)
	}
	section := io.NewSectionReader(file, r.Offset, length)
	return struct {
		io.Reader
		io.Closer
	}{contextReader{ctx, section}, file}, info, nil
}

// Head implements [Store].
func (d *directory) Head(ctx context.Context, key string) (Info, error) {
	return d.HeadVersion(ctx, key, "")
}

// HeadVersion implements [Store].
func (d *directory) HeadVersion(ctx context.Context, key, version string) (Info, error) {
	file, info, err := d.openVersion(ctx, key, version)
	if err != nil {
		return Info{}, fmt.Errorf("head object: %w", err)
	}
	return info, file.Close()
}

// Delete implements [Store].
func (d *directory) Delete(_ context.Context, _ Reason, keys ...string) error {
	if err := checkKeys(keys...); err != nil {
		return fmt.Errorf("delete object: %w", err)
	}
	for _, key := range keys {
		if err := d.root.Remove(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete object: %w", err)
		}
		_ = d.root.Remove(etagFile(key))
		for dir := path.Dir(key); dir != "."; dir = path.Dir(dir) {
			if d.root.Remove(dir) != nil {
				break // it still holds something
			}
		}
	}
	return nil
}

// Compose implements [Store]. Of one part it makes a second name: an object's bytes never change.
func (d *directory) Compose(ctx context.Context, dst string, parts []Source) (Info, error) {
	info, err := d.compose(ctx, dst, parts)
	if err != nil {
		return Info{}, fmt.Errorf("compose object: %w", storageFull(err))
	}
	return info, nil
}

func (d *directory) compose(ctx context.Context, dst string, parts []Source) (Info, error) {
	if err := errors.Join(ctx.Err(), checkKeys(dst), checkSources(parts)); err != nil {
		return Info{}, err
	}
	if len(parts) == 1 {
		if info, err := d.link(ctx, dst, parts[0].Key); err == nil || errors.Is(err, ErrNotFound) {
			info.Digest = parts[0].Digest
			return info, err
		} // a file system without links, or one that has no more of them
	}
	source := &concatReader{ctx: ctx, from: d, parts: parts}
	info, err := d.put(ctx, dst, source, joinDigests(parts))
	return info, errors.Join(err, source.Close())
}

// link gives an object another key.
func (d *directory) link(ctx context.Context, dst, src string) (Info, error) {
	file, info, err := d.open(ctx, src)
	if err != nil {
		return Info{}, err
	}
	stat, err := file.Stat()
	if err = errors.Join(err, file.Close(), d.mkdirAll(path.Dir(dst))); err != nil {
		return Info{}, err
	}
	temporary := path.Join(path.Dir(dst), temporaryPrefix+rand.Text())
	if err := d.root.Link(src, temporary); err != nil {
		return Info{}, err
	}
	err = d.root.Rename(temporary, dst)
	_ = d.root.Remove(temporary) // it is still there if dst was this very file
	if err != nil {
		return Info{}, err
	}
	info.Key = dst
	d.noteETag(dst, stat, info.ETag)
	return info, d.sync(path.Dir(dst))
}
