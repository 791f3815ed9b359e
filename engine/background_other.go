//go:build !linux

package engine

// stepBack does nothing: only Linux has priorities of threads.
func stepBack() {}
