//go:build !linux

package engine

// lowerPriority does nothing: only Linux has a priority per thread.
func lowerPriority() {}
