package api

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/store"
)

func TestUrgent_SmallUploads(t *testing.T) {
	for length, want := range map[int]int{0: 1, 100: 1, store.SmallBytesMax: 1, store.SmallBytesMax + 1: 0, -1: 0} {
		synctest.Test(t, func(t *testing.T) {
			s := &server{Parts: Parts{Background: engine.NewBackground(1)}}
			urgent := func() int { return s.Background.State().Urgent }
			r := &request{rc: &fasthttp.RequestCtx{}}
			r.rc.Request.Header.SetContentLength(length)
			done := s.urgent(r)
			if urgent() != want {
				t.Errorf("%d bytes: %d urgent, want %d", length, urgent(), want)
			}
			done()
			if urgent() != 0 {
				t.Errorf("%d bytes: %d urgent at the end", length, urgent())
			}
			done = s.urgent(r) // and one that takes long
			time.Sleep(urgentMax)
			synctest.Wait()
			if urgent() != 0 {
				t.Errorf("%d bytes: %d urgent for ever", length, urgent())
			}
			done()
			if urgent() != 0 {
				t.Errorf("%d bytes: %d urgent after its time and its end", length, urgent())
			}
		})
	}
}
