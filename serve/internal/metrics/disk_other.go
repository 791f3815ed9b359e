//go:build !unix

package metrics

// diskSpace returns zeros: space is measured on Unix only.
func diskSpace(string) (size, free float64) { return 0, 0 }
