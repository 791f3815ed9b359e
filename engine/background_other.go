//go:build !linux

package engine

// lowerPriority does nothing: only Linux has priorities of threads.
func lowerPriority() {}
