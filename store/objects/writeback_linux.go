package objects

import (
	"os"

	"golang.org/x/sys/unix"
)

// startWriteback starts writing a range of a file to disk, and does not wait.
func startWriteback(file *os.File, offset, length int64) {
	// Without it nothing is lost: the file is made durable by Sync.
	_ = unix.SyncFileRange(int(file.Fd()), offset, length, unix.SYNC_FILE_RANGE_WRITE)
}
