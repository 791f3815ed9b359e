package api

import (
	"math"
	"testing"
	"time"
)

func TestBodyTimeLimit_AnySize(t *testing.T) {
	before := time.Duration(0)
	for _, read := range []int64{0, 1, bodyRateMin, 1 << 30, 8 << 30, 9 << 30, 17 << 30, 1 << 50, math.MaxInt64} {
		patience := bodyTimeLimit(read)
		if want := float64(bodyGrace) + float64(read)/bodyRateMin*float64(time.Second); patience < before ||
			read < 1<<40 && math.Abs(float64(patience)-want) > want/1e9+1 {
			t.Errorf("%d bytes: %v, want %v", read, patience, time.Duration(want))
		}
		before = patience
	}
}
