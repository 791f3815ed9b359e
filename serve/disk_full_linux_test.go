package serve_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// The disk of the objects fills up: uploads are refused for now, a part waits without an attempt being charged, and both
// go on when there is room again.
func TestDiskFull(t *testing.T) {
	dir := storetest.SmallDisk(t, "512k")
	objects, err := objects.OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	a := startAPI(t, func(_ *api.Config, p *api.Parts) { p.Objects = objects })
	a.objects, a.dir = objects, dir
	id := a.upload(telecom)
	makeRoom := storetest.FillDisk(t, dir)
	r := a.post("/upload", telecom+strings.Repeat("x,1,20,30,One year\n", 10_000))
	if e := r.wantError(t, http.StatusServiceUnavailable, "ERR-1505"); !e.Retryable || r.header.Get("Retry-After") == "" {
		t.Errorf("%+v", e)
	}
	a.work()
	for strings.Contains(a.attemptsTotal(t), `"postponed"} 0`) {
		time.Sleep(20 * time.Millisecond)
	}
	if !strings.Contains(a.attemptsTotal(t), `"failed"} 0`) {
		t.Error("an attempt was charged")
	}
	makeRoom()
	if view := a.ended(id); view["status"] != "completed" {
		t.Errorf("%v", view)
	}
	a.finished(telecom)
}
