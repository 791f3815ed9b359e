package engine

import (
	"fmt"
	"testing"
)

func TestIDSetCountsRepetitions(t *testing.T) {
	var s idSet
	var hashes []uint64
	for i := range 10_000 {
		hashes = append(hashes, hashID(fmt.Sprintf("customer-%d", i)))
	}
	if seen := s.add(hashes); seen != 0 {
		t.Errorf("%d of distinct ids", seen)
	}
	if seen := s.add(append(hashes[:7:7], hashID("new"), hashID("new"))); seen != 8 {
		t.Errorf("%d repetitions, want 8", seen)
	}
	if s.n != 10_001 {
		t.Errorf("%d ids", s.n)
	}
}

func TestIDSetLimit(t *testing.T) {
	s := idSet{n: duplicateIDsMax}
	if seen := s.add([]uint64{1, 1}); seen != 0 || s.table != nil {
		t.Errorf("%d seen beyond the bound, table of %d", seen, len(s.table))
	}
}
