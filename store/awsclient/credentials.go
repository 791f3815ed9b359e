package awsclient

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/middleware"
)

// renewInterval is how often credentials that are refused are looked for again at most: a service that refuses one object
// only must not make every call read files, or ask for a new session.
const renewInterval = 3 * time.Second

// renewedCredentials are those of AWS's usual places. The SDK reads files once; here they are read again after a service
// refused a call, so that a key renewed on disk is used without a restart. Safe for concurrent use.
type renewedCredentials struct {
	load func(context.Context) (aws.CredentialsProvider, error)

	mu      sync.Mutex
	current aws.CredentialsProvider
	read    time.Time
	refused bool // since they were read
}

// newRenewedCredentials keeps credentials that were read just now.
func newRenewedCredentials(
	now aws.CredentialsProvider, load func(context.Context) (aws.CredentialsProvider, error),
) *renewedCredentials {
	return &renewedCredentials{load: load, current: now, read: time.Now()}
}

// Retrieve implements [aws.CredentialsProvider].
func (r *renewedCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	return r.provider(ctx).Retrieve(ctx)
}

// provider reads everything again if it was refused. What cannot be read, such as a file that is being written, leaves
// what there was until the next time.
func (r *renewedCredentials) provider(ctx context.Context) aws.CredentialsProvider {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused && time.Since(r.read) >= renewInterval {
		r.read = time.Now()
		if fresh, err := r.load(ctx); err == nil && fresh != nil {
			r.current, r.refused = fresh, false
		}
	}
	return r.current
}

// refuse notes that a service did not take the credentials, or perhaps only the request.
func (r *renewedCredentials) refuse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = true
}

// watch looks at how calls end.
func (r *renewedCredentials) watch(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("RenewCredentials", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleInitialize(ctx, in)
		if mayBeCredentials(err) {
			r.refuse()
		}
		return out, metadata, err
	}), middleware.Before)
}

// mayBeCredentials says of an error that other credentials may help: the service refused these, or there were none.
func mayBeCredentials(err error) bool {
	switch Status(err) {
	case http.StatusUnauthorized, http.StatusForbidden:
		return true
	case 0:
		return err != nil && !errors.Is(err, context.Canceled)
	}
	switch Code(err) {
	case "ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired", "InvalidClientTokenId",
		"UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch":
		return true
	}
	return false
}

// FreshSigner derives the key of each signature anew. The SDK's own signer keeps derived keys by the access key's id, and
// would go on signing with a secret that was replaced under the same id.
type FreshSigner struct{ PlainPaths bool } // as S3 wants them

// SignHTTP implements the signers of the SDK's services.
func (f FreshSigner) SignHTTP(
	ctx context.Context, credentials aws.Credentials, r *http.Request, payloadHash, service, region string, at time.Time,
	options ...func(*v4.SignerOptions),
) error {
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = f.PlainPaths })
	return signer.SignHTTP(ctx, credentials, r, payloadHash, service, region, at, options...)
}
