package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// target is the file of an output, after all symbolic links.
type target struct {
	path    string
	info    fs.FileInfo // nil if it does not exist yet
	inPlace bool        // it cannot be replaced: a stream, a pipe, a device
}

const (
	linksMax         = 40
	temporaryNameMax = 200 // bytes of the target's name in that of the temporary file
)

// findTarget resolves a name. It also follows dangling links, as shells do.
func findTarget(name string) (target, error) {
	path := name
	for range linksMax {
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if errors.Is(err, fs.ErrNotExist) {
			return target{}, fmt.Errorf("there is no directory %s", filepath.Dir(path))
		}
		if err != nil {
			return target{}, err
		}
		if strings.HasPrefix(dir, "/proc/") { // /dev/stdout, /dev/fd/3: a file that is open already
			info, err := os.Stat(name)
			return target{path: name, info: info, inPlace: true}, err
		}
		path = filepath.Join(dir, filepath.Base(path))
		link, err := os.Readlink(path)
		if err != nil {
			return statTarget(path)
		}
		if !filepath.IsAbs(link) {
			link = dir + string(filepath.Separator) + link
		}
		path = link
	}
	return target{}, errors.New("too many symbolic links")
}

func statTarget(path string) (target, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return target{path: path}, nil
	case err != nil:
		return target{}, err
	case info.IsDir():
		return target{}, syscall.EISDIR
	}
	return target{path: path, info: info, inPlace: !info.Mode().IsRegular()}, nil
}

// targetOf returns the target of a stream.
func targetOf(stream io.Writer) target {
	t := target{inPlace: true}
	if file, ok := stream.(*os.File); ok {
		t.info, _ = file.Stat()
	}
	return t
}

// whole reports whether the target is a regular file, which is replaced only when its successor is complete.
func (t target) whole() bool { return !t.inPlace }

// same reports whether two targets are one file. It is false for devices, such as /dev/null, which may be shared.
func (t target) same(other target) bool {
	if t.info == nil || other.info == nil {
		return t.info == nil && other.info == nil && t.path != "" && t.path == other.path
	}
	return t.info.Mode()&fs.ModeDevice == 0 && os.SameFile(t.info, other.info)
}

// create opens the file to write to: the target itself if it cannot be replaced, or a temporary file beside it.
func (t target) create() (*os.File, error) {
	if t.inPlace {
		flags := os.O_WRONLY
		if t.info.Mode().IsRegular() { // an inherited descriptor, perhaps opened for appending
			flags |= os.O_APPEND
		}
		return os.OpenFile(t.path, flags, 0)
	}
	if t.info == nil {
		return t.createBeside(0o666) // less the umask
	}
	if err := t.writable(); err != nil {
		return nil, err
	}
	file, err := t.createBeside(0o600)
	if err != nil {
		return nil, err
	}
	if err = keepOwner(file, t.info); err == nil {
		err = file.Chmod(t.info.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("keep owner and mode: %w", err), file.Close(), os.Remove(file.Name()))
	}
	return file, nil
}

// writable returns an error for a file that may not be written, which must not be replaced either.
func (t target) writable() error {
	file, err := os.OpenFile(t.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return file.Close()
}

func (t target) createBeside(mode fs.FileMode) (*os.File, error) {
	dir, base := filepath.Split(t.path)
	name := fmt.Sprintf("%s.%s.%s", dir, base[:min(len(base), temporaryNameMax)], rand.Text())
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	var path *fs.PathError
	if errors.As(err, &path) {
		err = fmt.Errorf("create a file in %s: %w", filepath.Clean(dir), path.Err)
	}
	return file, err
}
