package duty

import (
	"context"
	"slices"
	"strings"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
)

// A file that comes by itself, while its user has as many predictions waiting as one may have, is not refused: there is
// no one to answer. One under inbox/ stays where it is, and the upkeep finds it like any of which no event came. One that was
// put through a link is noted with the link.

// inboxUser is the folder of a dropped file, which names its user.
func inboxUser(key string) string {
	user, _, _ := strings.Cut(strings.TrimPrefix(key, store.InboxPrefix), "/")
	return user
}

// CompletePostponed completes links until their users have enough waiting again. A file that is gone is not waited for.
func (u *Upkeep) CompletePostponed(ctx context.Context) error {
	var full []int64 // and users with a file that made another trouble: next time
	for {
		links, err := u.Store.PostponedLinks(ctx, full)
		if err != nil || len(links) == 0 {
			return err
		}
		for _, l := range links {
			if slices.Contains(full, l.UserID) {
				continue
			}
			_, err := plan.CompleteLink(ctx, u.Store, u.Objects, l)
			if code := fault.CodeOf(err); err != nil && (code == fault.CodeWrongState || code == fault.CodeInvalidFile) {
				err = u.Store.PostponeUploadLink(ctx, l.ID, false)
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
