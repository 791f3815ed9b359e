package plan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/models"
)

// Pushed is a model that a push has made a version, or that was one before.
type Pushed struct {
	models.Version
	models.Published
}

// Push makes the bundle of an archive a version that uploads may name, in every process: it is checked like a bundle at the
// start, stored, and recorded. The same bundle again changes nothing, except that an archive that was lost is stored anew.
// size is the length of the archive, if known, else below 0. One archive at a time is received.
func (k *KeptModels) Push(ctx context.Context, archive io.Reader, size int64) (Pushed, error) {
	select {
	case k.pushing <- struct{}{}:
		defer func() { <-k.pushing }()
	case <-ctx.Done():
		return Pushed{}, ctx.Err()
	}
	b, err := k.receive(archive, size)
	if err != nil {
		return Pushed{}, err
	}
	return k.publish(ctx, b, true)
}

// versionForm is that of versions that uploads may name.
var versionForm = regexp.MustCompile(`^[A-Za-z0-9._+-]{1,64}$`)

// receive reads an archive and opens it with every check of a new bundle.
func (k *KeptModels) receive(archive io.Reader, size int64) (*engine.Bundle, error) {
	if size > archiveMax {
		return nil, fault.TooLarge(archiveMax, "bytes")
	}
	content, err := io.ReadAll(io.LimitReader(archive, archiveMax+1))
	switch {
	case err != nil:
		return nil, fault.Fail(fault.CodeInvalidFile, "The archive did not arrive completely.").Because(err)
	case len(content) > archiveMax:
		return nil, fault.TooLarge(archiveMax, "bytes")
	}
	b, err := engine.OpenArchive(slices.Clip(content))
	if err == nil && k.Check != nil {
		err = k.Check(b)
	}
	if err != nil {
		f := storefault.ExplainAs(fault.CodeBundleUnusable, err)
		f.Message, f.Status = f.Code.Message()+" "+fault.Sanitize(err.Error()), 422
		return nil, f
	}
	return b, nil
}

// publish stores a bundle and makes it a version. With plain set, the first push of a name makes that an alias.
func (k *KeptModels) publish(ctx context.Context, b *engine.Bundle, plain bool) (Pushed, error) {
	if !versionForm.MatchString(b.Version()) {
		return Pushed{}, fault.Fail(fault.CodeBundleUnusable, "The version of the bundle must be 1 to 64 letters, digits, "+
			"'.', '_', '+' and '-', as uploads name it.")
	}
	names, err := k.Refresh(ctx)
	if err != nil {
		return Pushed{}, err
	}
	inUse, ok := k.Registry.Get(b.Name())
	if ok && inUse.Version() == b.Version() && inUse.SHA256() != b.SHA256() {
		return Pushed{}, versionTaken(b, inUse.SHA256(), "in use from this server's own bundles")
	}
	if other, ok := names.FindVersion(b.Name(), b.Version()); ok && other.SHA256 != b.SHA256() { // before it is stored
		return Pushed{}, versionTaken(b, other.SHA256, "pushed")
	}
	k.mu.Lock()
	delete(k.stored, b.SHA256()) // so that it is looked for
	k.mu.Unlock()
	var p Pushed
	err = k.Accept(ctx, b, func() (err error) {
		p.Published, err = k.Models.Publish(ctx, b.SHA256(), plain && !ok)
		return err
	})
	var taken *models.VersionTakenError
	switch {
	case errors.As(err, &taken): // at the same time
		return p, versionTaken(b, taken.SHA256, "pushed")
	case err != nil:
		return p, storefault.ExplainAs(fault.CodeDatabase, err)
	}
	k.remember(b)
	if names, err = k.Refresh(ctx); err != nil {
		return p, err
	}
	p.Version, _ = names.Find(b.SHA256())
	return p, nil
}

// remember keeps a model in memory, unless it is there.
func (k *KeptModels) remember(b *engine.Bundle) {
	k.mu.Lock()
	defer k.mu.Unlock()
	same := func(other *engine.Bundle) bool { return other.SHA256() == b.SHA256() }
	if _, ok := k.Registry.Pinned(b.Name(), b.SHA256()); !ok && !slices.ContainsFunc(k.loaded, same) {
		k.hold(b)
	}
	delete(k.failed, b.SHA256())
}

func versionTaken(b *engine.Bundle, other, where string) *fault.Failure {
	return fault.Fail(fault.CodeModelVersionTaken, fmt.Sprintf(
		"Another model is %s as %s version %s: its sha256 is %s, and that of this one %s. Give this one another version.",
		where, b.Name(), b.Version(), other, b.SHA256()))
}

// Versioned returns the version that a name, a version or an alias stands for. A bundle in use becomes one: it is stored, so
// that every process has it.
func (k *KeptModels) Versioned(ctx context.Context, ref string) (models.Version, error) {
	found, err := k.Find(ctx, ref)
	if err != nil || found.Bundle == nil {
		return found.Version, err
	}
	p, err := k.publish(ctx, found.Bundle, false)
	return p.Version, err
}

// Lost reports whether the archive of a version is known to be lost, or is not in the object store now. One that was given
// up behind its retirement is not lost.
func (k *KeptModels) Lost(ctx context.Context, v models.Version) (bool, error) {
	if !v.Active() {
		return false, nil
	}
	there, err := k.isThere(ctx, v.Model)
	if store.FaultOf(err) == store.FaultRefused {
		return true, nil
	}
	return !there, err
}
