//go:build unix

package metrics

import "golang.org/x/sys/unix"

// diskSpace returns the size of the file system of a path and the bytes that this process may still use; 0 on an error.
func diskSpace(path string) (size, free float64) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, 0
	}
	return float64(s.Blocks) * float64(s.Bsize), float64(s.Bavail) * float64(s.Bsize)
}
