//go:build unix

package cli

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner sets the owner and the group of a file to those of the file that it replaces.
func keepOwner(file *os.File, replaced fs.FileInfo) error {
	made, err := file.Stat()
	if err != nil {
		return err
	}
	want, ok := replaced.Sys().(*syscall.Stat_t)
	have, known := made.Sys().(*syscall.Stat_t)
	if !ok || !known || want.Uid == have.Uid && want.Gid == have.Gid {
		return nil
	}
	return file.Chown(int(want.Uid), int(want.Gid))
}
