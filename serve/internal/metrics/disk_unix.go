//go:build unix

package metrics

import "golang.org/x/sys/unix"

// diskSpace is the size of the file system that a path lies on and what is free of it for this process; 0 if unknown.
func diskSpace(path string) (size, free float64) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, 0
	}
	return float64(s.Blocks) * float64(s.Bsize), float64(s.Bavail) * float64(s.Bsize)
}
