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

// syncDirectory does nothing: Windows refuses to flush a directory. NTFS journals the names.
func syncDirectory(*os.File) error { return nil }

// diskFull reports whether a file could not grow because its disk, or the quota of its owner, has no room.
func diskFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}
