package ingest

// kernels are the loops over bytes that have vector twins. Every set gives the same results.
type kernels struct {
	scan  func(text []byte, delimiter byte) scanned
	index func(text []byte, delimiter byte, base uint32, at []uint32) indexed
}

// portable is the set that runs anywhere, and the oracle of the others.
func portable() kernels {
	return kernels{scan: scanPortable, index: indexPortable}
}

// kernel is the best set for this machine, chosen once at start; tests put another in its place.
var kernel = bestKernels()
