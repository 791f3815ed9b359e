package objects

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockExclusively waits until no other process has the file locked. Closing the file unlocks it.
func lockExclusively(file *os.File) error {
	return windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, new(windows.Overlapped))
}

// tryLock locks a file unless it is locked already. Closing the file unlocks it, and so does the end of the process.
func tryLock(file *os.File) (locked bool, err error) {
	err = windows.LockFileEx(windows.Handle(file.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// syncDirectory does nothing: Windows refuses to flush a directory. NTFS journals the names.
func syncDirectory(*os.File) error { return nil }

// diskFull reports whether a file could not grow because its disk, or the quota of its owner, has no room.
func diskFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}
