package objects

import (
	"context"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/retainwise/millrace/store/awsclient"
)

// Only naming a version needs s3:GetObjectVersion, which the credentials of an earlier release may lack. So a refusal is
// followed by a call without the version, which is right as long as the newest version is the one that was named.

// Head implements [Store].
func (b *bucket) Head(ctx context.Context, key string) (Info, error) {
	return b.HeadVersion(ctx, key, "")
}

// HeadVersion implements [Store].
func (b *bucket) HeadVersion(ctx context.Context, key, version string) (Info, error) {
	info, err := b.headVersion(ctx, key, version)
	switch {
	case version != "" && refused(err):
		if newest, failed := b.headVersion(ctx, key, ""); failed == nil && newest.Version == version {
			info, err = newest, nil
		}
	case version != "" && awsclient.Status(err) == http.StatusBadRequest: // a HEAD is answered without a code
		if body, _, why := b.get(ctx, key, Range{Version: version}, ""); why != nil {
			err = why
		} else {
			_ = body.Close()
		}
	}
	if err != nil {
		return Info{}, fmt.Errorf("head object: %w", s3Error(err))
	}
	return info, nil
}

func (b *bucket) headVersion(ctx context.Context, key, version string) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &b.name, Key: b.bucketKey(key), VersionId: versionID(version),
	})
	if err != nil {
		return Info{}, err
	}
	return Info{
		Key: key, Bytes: aws.ToInt64(out.ContentLength), ETag: aws.ToString(out.ETag), Version: aws.ToString(out.VersionId),
		Modified: aws.ToTime(out.LastModified),
	}, nil
}

// getObject asks for an object. Without its version the ETag makes sure that the content is the same.
func (b *bucket) getObject(ctx context.Context, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	out, err := b.client.GetObject(ctx, in)
	if in.VersionId != nil && in.IfMatch != nil && refused(err) {
		newest := *in
		newest.VersionId = nil
		if same, failed := b.client.GetObject(ctx, &newest); failed == nil {
			return same, nil
		}
	}
	if in.VersionId != nil && awsclient.Code(err) == "InvalidArgument" { // no version has such a name
		err = fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return out, err
}

// versionID is a version as the SDK takes it: nil is the newest.
func versionID(version string) *string {
	if version == "" {
		return nil
	}
	return &version
}

func refused(err error) bool { return awsclient.Status(err) == http.StatusForbidden }
