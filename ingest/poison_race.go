//go:build race

package ingest

// poisoned: with the race detector a batch is overwritten as soon as it is no longer valid, so that code that keeps it
// sees nonsense instead of a value that is right most of the time.
const poisoned = true
