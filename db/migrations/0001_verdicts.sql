CREATE TABLE "suspensions" (
	"node_id" text PRIMARY KEY NOT NULL,
	"suspended_at" timestamp(3) with time zone,
	"reason" text,
	"told_at" timestamp(3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "verdicts" (
	"task_id" text PRIMARY KEY NOT NULL,
	"node_id" text NOT NULL,
	"operator" text NOT NULL,
	"model_name" text NOT NULL,
	"model_sha256" text NOT NULL,
	"outcome" text NOT NULL,
	"mean_margin" double precision,
	"positions" bigint NOT NULL,
	"reasons" jsonb NOT NULL,
	"validators" jsonb NOT NULL,
	"revision" bigint NOT NULL,
	"at" timestamp(3) with time zone NOT NULL,
	CONSTRAINT "verdicts_outcome" CHECK ("verdicts"."outcome" in ('valid', 'invalid', 'undecided', 'unchecked'))
);
--> statement-breakpoint
CREATE INDEX "suspensions_by_time" ON "suspensions" USING btree ("suspended_at");--> statement-breakpoint
CREATE INDEX "verdicts_by_node" ON "verdicts" USING btree ("node_id","at");