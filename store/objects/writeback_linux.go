package objects

import (
	"os"

	"golang.org/x/sys/unix"
)

// startWriteback asks the system to begin writing what was added to a file, and does not wait.
func startWriteback(file *os.File, offset, length int64) {
	// Without it nothing is lost: the file is made durable by Sync.
	_ = unix.SyncFileRange(int(file.Fd()), offset, length, unix.SYNC_FILE_RANGE_WRITE)
}
