package duty

import (
	"context"
	"slices"
	"strings"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store/objects"
)

// A file that arrives without a request, while its user has too many waiting predictions, is postponed. A dropped file
// stays under inbox/, where the upkeep finds it as if its event were lost. For a direct upload the link is postponed.

// inboxUser returns the folder of a dropped file, which names its user.
func inboxUser(key string) string {
	user, _, _ := strings.Cut(strings.TrimPrefix(key, objects.InboxPrefix), "/")
	return user
}

// CompletePostponed retries postponed upload links, until their users have too many waiting predictions again. A link
// whose file is missing or has the wrong size is not retried again.
func (u *Upkeep) CompletePostponed(ctx context.Context) error {
	var full []int64 // users to skip this time: too many waiting predictions, or a link that failed
	for {
		links, err := u.Store.UploadLinks.Postponed(ctx, full)
		if err != nil || len(links) == 0 {
			return err
		}
		for _, l := range links {
			if slices.Contains(full, l.UserID) {
				continue
			}
			_, err := plan.CompleteLink(ctx, u.Store, u.Objects, l)
			if code := storefault.CodeOf(err); err != nil && (code == fault.CodeWrongState || code == fault.CodeInvalidFile) {
				err = u.Store.UploadLinks.Postpone(ctx, l.ID, false)
			}
			if err != nil {
				full = append(full, l.UserID)
			}
			if err != nil && !plan.IsWaitingLimit(err) {
				u.Log.Warn("complete postponed upload", "upload_id", l.ID, "error", err)
			}
		}
	}
}
