package serve_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// A dropped file that cannot be scored fails with the code that an upload of it would have had.
func TestInbox_FilesThatCannotBeScored(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	packed := string(gzipped(t, telecom))
	for name, test := range map[string]struct{ text, code string }{
		"nothing but space": {"\n", "ERR-1005"},
		"no such columns":   {"a,b\n1,2\n", "ERR-1004"},
		"a column missing":  {strings.Replace(telecom, "Contract", "Kind", 1), "ERR-1004"},
		"half an archive":   {packed[:len(packed)/2], "ERR-1012"},
		"an open quote":     {telecom + "\"A-4,1,2,3,One year\n", "ERR-1009"},
	} {
		key := "inbox/owner/" + strings.ReplaceAll(name, " ", "-") + ".csv"
		a.put(key, test.text)
		if _, err := serve.HandleMessage(t.Context(), a.store, a.objects, a.log, created("b", key)); err != nil {
			t.Fatal(err)
		}
		view := a.ended(a.newest())
		failure, ok := view["error"].(map[string]any)
		if view["status"] != "failed" || !ok || failure["code"] != test.code {
			t.Errorf("%s: %v %v, want %s", name, view["status"], failure, test.code)
		}
	}
}

// unreachable is an object store that answers HEAD, and reads of its mark, with errors.
type unreachable struct {
	objects.Store
	head, get error
}

func (u unreachable) HeadVersion(context.Context, string, string) (objects.Info, error) {
	return objects.Info{}, u.head
}

func (u unreachable) Get(context.Context, string, objects.Range, string) (io.ReadCloser, objects.Info, error) {
	return nil, objects.Info{}, u.get
}

// A message stays while the object store cannot say what was dropped. A bucket that is missing answers as a file that is.
func TestQueueHandler_KeepsMessages(t *testing.T) {
	a := startAPI(t, nil)
	a.put("inbox/owner/a.csv", telecom)
	for name, test := range map[string]struct {
		head, get error
		stays     bool
	}{
		"no answer":          {head: errors.New("no such luck"), stays: true},
		"the bucket is gone": {head: objects.ErrNotFound, get: objects.ErrNoBucket, stays: true},
		"the file is gone":   {head: objects.ErrNotFound, get: objects.ErrNotFound},
	} {
		log := new(logBuffer)
		broken := unreachable{a.objects, test.head, test.get}
		woken, err := serve.HandleMessage(t.Context(), a.store, broken, log, created("b", "inbox/owner/a.csv"))
		aside := strings.Contains(log.String(), `"reason":"gone"`)
		if (err != nil) != test.stays || woken == test.stays || aside == test.stays {
			t.Errorf("%s: woken %v, %v, log %s", name, woken, err, log)
		}
	}
	if n := a.predictions(); n != 0 {
		t.Errorf("%d predictions", n)
	}
}

// changedReads is an object store whose files read otherwise than they were written.
type changedReads struct {
	objects.Store
	change func([]byte) []byte
}

func (c changedReads) Get(
	ctx context.Context, key string, r objects.Range, ifMatch string,
) (io.ReadCloser, objects.Info, error) {
	body, info, err := c.Store.Get(ctx, key, r, ifMatch)
	if err != nil {
		return nil, info, err
	}
	text, err := io.ReadAll(body)
	return io.NopCloser(bytes.NewReader(c.change(text))), info, err
}

// Reasons that are not those of the rows in the database are never shown.
func TestReadReasons_RefusesOtherRows(t *testing.T) {
	for name, test := range map[string]struct {
		change func([]byte) []byte
		status int
		code   string
	}{
		"another score": {
			func(text []byte) []byte { return bytes.ReplaceAll(text, []byte(",0."), []byte(",1.")) },
			http.StatusInternalServerError, "ERR-1500",
		},
		"rows of other lengths": {
			func(text []byte) []byte { return bytes.ReplaceAll(text, []byte(",0."), []byte(",0.0")) },
			http.StatusInternalServerError, "ERR-1500",
		},
		"half a file": {
			func(text []byte) []byte { return text[:len(text)/2] }, http.StatusServiceUnavailable, "ERR-1502",
		},
	} {
		t.Run(name, func(t *testing.T) {
			on := false
			a := flipBench{database: storetest.Postgres(t)}
			a.testAPI = startAPI(t, func(_ *api.Config, p *api.Parts) {
				p.Store = storetest.Open(t, store.Config{URL: a.database})
				p.Objects = changedReads{p.Objects, func(text []byte) []byte {
					if on {
						return test.change(text)
					}
					return text
				}}
			})
			a.work()
			path := address(a.finished(telecom)["links"].(map[string]any)["rows"]) + "?explain=true"
			a.get(path).want(t, http.StatusOK)
			on = true
			a.get(path).wantError(t, http.StatusServiceUnavailable, "ERR-1502")
			a.withoutDigests()
			a.get(path).wantError(t, test.status, test.code)
		})
	}
}
