//go:build !amd64 || purego

package kernels

// Runnable returns the sets that this processor can run, the portable one first and the best one last.
func Runnable() []Set { return []Set{portable()} }
