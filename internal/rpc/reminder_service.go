package rpc

import (
	nodev1 "yipan/internal/gen/yipan/node/v1"
	"yipan/internal/remind"
)

// reminderService is yipan.node.v1.ReminderService.
type reminderService struct {
	nodev1.UnimplementedReminderServiceServer
	remind *remind.Remind
}
