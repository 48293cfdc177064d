CREATE TABLE "accounts" (
	"account_id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "attempts" (
	"attempt_id" text PRIMARY KEY NOT NULL,
	"task_id" text NOT NULL,
	"node_id" text NOT NULL,
	"state" text NOT NULL,
	"reason" text,
	"prompt_tokens" bigint NOT NULL,
	"completion_tokens" bigint NOT NULL,
	"assigned_at" timestamp(3) with time zone NOT NULL,
	"acked_at" timestamp(3) with time zone,
	"first_token_at" timestamp(3) with time zone,
	"ended_at" timestamp(3) with time zone NOT NULL,
	CONSTRAINT "attempts_state" CHECK ("attempts"."state" in ('assigned', 'acked', 'precommitted', 'committed', 'rejected', 'timed_out', 'lost'))
);
--> statement-breakpoint
CREATE TABLE "invites" (
	"invite_id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"name" text NOT NULL,
	"hint" text NOT NULL,
	"max_nodes" bigint NOT NULL,
	"used_nodes" bigint NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"expires_at" timestamp(3) with time zone,
	"revoked_at" timestamp(3) with time zone
);
--> statement-breakpoint
CREATE TABLE "keys" (
	"key_id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"name" text NOT NULL,
	"hint" text NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"revoked_at" timestamp(3) with time zone
);
--> statement-breakpoint
CREATE TABLE "nodes" (
	"node_id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"name" text NOT NULL,
	"public_key" text NOT NULL,
	"software" text NOT NULL,
	"models" jsonb NOT NULL,
	"registered_at" timestamp(3) with time zone NOT NULL,
	"seen_at" timestamp(3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tasks" (
	"task_id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"key_id" text NOT NULL,
	"model_name" text NOT NULL,
	"model_sha256" text NOT NULL,
	"task" text NOT NULL,
	"state" text NOT NULL,
	"finish_reason" text,
	"error_code" text,
	"prompt_tokens" bigint NOT NULL,
	"completion_tokens" bigint NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"ended_at" timestamp(3) with time zone NOT NULL,
	CONSTRAINT "tasks_state" CHECK ("tasks"."state" in ('queued', 'assigned', 'acked', 'precommitted', 'committed', 'validated', 'completed', 'failed', 'cancelled', 'expired'))
);
--> statement-breakpoint
CREATE TABLE "usage" (
	"task_id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"key_id" text NOT NULL,
	"model_name" text NOT NULL,
	"prompt_tokens" bigint NOT NULL,
	"completion_tokens" bigint NOT NULL,
	"at" timestamp(3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE INDEX "attempts_by_task" ON "attempts" USING btree ("task_id");--> statement-breakpoint
CREATE INDEX "attempts_by_node" ON "attempts" USING btree ("node_id","assigned_at");--> statement-breakpoint
CREATE INDEX "invites_by_account" ON "invites" USING btree ("account_id","created_at");--> statement-breakpoint
CREATE INDEX "keys_by_account" ON "keys" USING btree ("account_id","created_at");--> statement-breakpoint
CREATE INDEX "nodes_by_account" ON "nodes" USING btree ("account_id","registered_at");--> statement-breakpoint
CREATE INDEX "tasks_by_account" ON "tasks" USING btree ("account_id","created_at");--> statement-breakpoint
CREATE INDEX "usage_by_account" ON "usage" USING btree ("account_id","at");