//go:build !unix

package metrics

// diskSpace is not known here.
func diskSpace(string) (size, free float64) { return 0, 0 }
