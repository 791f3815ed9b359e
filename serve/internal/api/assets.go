package api

import (
	"bytes"
	"net/http"
	"sync"

	"github.com/retainwise/millrace/serve/internal/wire"
)

// assets cache bodies that do not change while the process runs, each compressed once per requested content coding. They
// are embedded in the program, so there are a few dozen at most. Safe for concurrent use.
type assets struct {
	mu    sync.Mutex
	known map[string]*asset
}

type asset struct {
	mediaType string
	tag       string // of the plain body; see quotedTag
	body      []byte

	mu    sync.Mutex
	coded map[string][]byte
}

func newAssets() *assets { return &assets{known: map[string]*asset{}} }

// get returns an asset by its name, and opens it the first time. An error is not cached.
func (a *assets) get(name string, open func() (*asset, error)) (*asset, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if found := a.known[name]; found != nil {
		return found, nil
	}
	found, err := open()
	if err != nil {
		return nil, err
	}
	found.tag = digest(found.body)
	a.known[name] = found
	return found, nil
}

// form returns the body in a content coding; empty means the plain body.
func (a *asset) form(p *wire.Compressors, coding string) ([]byte, error) {
	if coding == "" {
		return a.body, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if text := a.coded[coding]; text != nil {
		return text, nil
	}
	var text bytes.Buffer
	if err := p.CompressBytes(&text, a.body, coding); err != nil {
		return nil, err
	}
	if a.coded == nil {
		a.coded = map[string][]byte{}
	}
	a.coded[coding] = text.Bytes()
	return text.Bytes(), nil
}

// asset answers with an asset, or 304 if the client has it already.
func (r *request) asset(a *asset) error {
	form := r.codingOf(len(a.body))
	if r.notModified(formETag(a.tag, form)) {
		return nil
	}
	text, err := a.form(r.compressors, form)
	if err != nil {
		return err
	}
	r.isAsset = true
	r.coded(http.StatusOK, a.mediaType, text, form)
	return nil
}
