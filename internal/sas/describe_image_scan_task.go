package sas

import (
	"context"
	"errors"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/store"
)

type describeImageScanTaskRequest struct {
	TaskID string `rpc:"TaskId" required:"true" range:",64" doc:"The TaskId that a report was answered with." example:"fc98d58eb56f699d49bf7ebbd6d7a0b1"`
}

type describeImageScanTaskResponse struct {
	Data taskRow `doc:"The task."`
}

type taskRow struct {
	TaskID        string   `json:"TaskId" doc:"The id of the task." example:"fc98d58eb56f699d49bf7ebbd6d7a0b1"`
	Status        string   `doc:"recorded: the report is in the inventory. Nothing scans yet." example:"recorded"`
	RegistryID    int64    `json:"RegistryId" doc:"The registry." example:"443496"`
	UUID          string   `json:"Uuid" doc:"The id of the image." example:"6690a46c-0edb-4663-a641-3629d1a90000"`
	CreateTime    string   `doc:"When the report came." example:"2026-01-02 10:23:30"`
	RepoNamespace string   `json:",omitempty" doc:"The namespace of the image; it and what follows are absent once the image is in no list any more." example:"platform/auth"`
	RepoName      string   `json:",omitempty" doc:"The name of its repository." example:"server"`
	Digest        string   `json:",omitempty" doc:"Its digest as far as it is known now." example:"a8c9f3765684cd8d9053db9523eab58878e99a199217500efd9ae2a860a7e01e"`
	Tags          []string `json:",omitempty" doc:"All its tags now, sorted." example:"1.8.0"`
	JenkinsEnv    string   `json:",omitempty" doc:"The label of its last build." example:"release"`
}

var errNoTask = &portolan.Error{Code: "ImageScanTaskNotExist", Status: 400, Message: "The specified task does not exist; tasks are kept for 90 days."}

func (s *Service) describeImageScanTask() rpc.Endpoint {
	return rpc.Operation[describeImageScanTaskRequest, describeImageScanTaskResponse]{
		Spec: own("DescribeImageScanTask", rpc.Read, "Shows what became of a report.", "Tasks are kept for 90 days.",
			rpc.Err{Code: errNoTask.Code, Status: errNoTask.Status, Doc: "The account has no task of that id, or its registry was deleted."}),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *describeImageScanTaskRequest) (*describeImageScanTaskResponse, error) {
			t, err := s.DB.Task(ctx, caller.Principal.AccountID, req.TaskID)
			if errors.Is(err, store.ErrNotFound) {
				return nil, errNoTask
			}
			if err != nil {
				return nil, err
			}
			row := taskRow{TaskID: t.ID, Status: "recorded", RegistryID: t.RegistryID, UUID: t.UUID, CreateTime: s.when(t.Created), JenkinsEnv: t.Build}
			if i := t.Image; i != nil {
				row.RepoNamespace, row.RepoName, row.Digest, row.Tags = i.Repository.Namespace, i.Repository.Name, i.Digest.Wire(), tagNames(i)
			}
			return &describeImageScanTaskResponse{row}, nil
		},
	}.Endpoint()
}
