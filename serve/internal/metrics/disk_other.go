//go:build !unix

package metrics

// diskSpace is not implemented on this platform.
func diskSpace(string) (size, free float64) { return 0, 0 }
