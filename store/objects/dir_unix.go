//go:build unix

package objects

import (
	"errors"
	"os"
	"syscall"
)

// lockExclusively waits until no other process has the file locked. Closing the file unlocks it.
func lockExclusively(file *os.File) error { return syscall.Flock(int(file.Fd()), syscall.LOCK_EX) }

// tryLock locks a file unless it is locked already. Closing the file unlocks it, and so does the end of the process.
func tryLock(file *os.File) (locked bool, err error) {
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// syncDirectory makes the names in an open directory durable.
func syncDirectory(dir *os.File) error { return dir.Sync() }

// diskFull reports whether a file could not grow because its disk, or the quota of its owner, has no room.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
