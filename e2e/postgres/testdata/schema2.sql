--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: facteur; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA facteur;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: aliases; Type: TABLE; Schema: facteur; Owner: -
--

CREATE TABLE facteur.aliases (
    id text NOT NULL COLLATE pg_catalog."C",
    contact bigint NOT NULL
);


--
-- Name: arrivals; Type: SEQUENCE; Schema: facteur; Owner: -
--

CREATE SEQUENCE facteur.arrivals
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: claims; Type: TABLE; Schema: facteur; Owner: -
--

CREATE TABLE facteur.claims (
    contact bigint NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    call text NOT NULL COLLATE pg_catalog."C",
    step text NOT NULL COLLATE pg_catalog."C",
    at bigint NOT NULL,
    until bigint NOT NULL,
    freed text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C"
);


--
-- Name: contacts; Type: TABLE; Schema: facteur; Owner: -
--

CREATE TABLE facteur.contacts (
    seq bigint NOT NULL
);


--
-- Name: events; Type: TABLE; Schema: facteur; Owner: -
--

CREATE TABLE facteur.events (
    seq bigint NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    message text COLLATE pg_catalog."C",
    sender text COLLATE pg_catalog."C",
    at bigint NOT NULL,
    received bigint NOT NULL,
    body bytea NOT NULL
);


--
-- Name: inbound; Type: TABLE; Schema: facteur; Owner: -
--

CREATE TABLE facteur.inbound (
    event bigint NOT NULL,
    contact bigint NOT NULL,
    sender text NOT NULL COLLATE pg_catalog."C",
    at bigint NOT NULL,
    received bigint NOT NULL
);


--
-- Name: messages; Type: TABLE; Schema: facteur; Owner: -
--

CREATE TABLE facteur.messages (
    id text NOT NULL COLLATE pg_catalog."C",
    call text COLLATE pg_catalog."C",
    sender text COLLATE pg_catalog."C",
    recipient text COLLATE pg_catalog."C",
    state smallint NOT NULL,
    at bigint NOT NULL,
    since bigint NOT NULL,
    updated bigint NOT NULL
)
WITH (fillfactor='80');


--
-- Name: migrations; Type: TABLE; Schema: facteur; Owner: -
--

CREATE TABLE facteur.migrations (
    version integer NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Name: preferences; Type: TABLE; Schema: facteur; Owner: -
--

CREATE TABLE facteur.preferences (
    contact bigint NOT NULL,
    sender text NOT NULL COLLATE pg_catalog."C",
    "out" boolean NOT NULL,
    at bigint NOT NULL
);


--
-- Name: senders; Type: TABLE; Schema: facteur; Owner: -
--

CREATE TABLE facteur.senders (
    sender text NOT NULL COLLATE pg_catalog."C",
    heard bigint NOT NULL
);


--
-- Name: windows; Type: TABLE; Schema: facteur; Owner: -
--

CREATE TABLE facteur.windows (
    contact bigint NOT NULL,
    sender text NOT NULL COLLATE pg_catalog."C",
    wrote bigint NOT NULL,
    shut bigint NOT NULL
)
WITH (fillfactor='80');


--
-- Data for Name: aliases; Type: TABLE DATA; Schema: facteur; Owner: -
--

INSERT INTO facteur.aliases VALUES ('33612345678', 3936822673058315347);
INSERT INTO facteur.aliases VALUES ('FR.1', 3936822673058315347);


--
-- Data for Name: claims; Type: TABLE DATA; Schema: facteur; Owner: -
--

INSERT INTO facteur.claims VALUES (3936822673058315347, 'k', 'f1.old.1', 'step of f1.old.1', 1772366400000000000, 1772370000000000000, '');


--
-- Data for Name: contacts; Type: TABLE DATA; Schema: facteur; Owner: -
--

INSERT INTO facteur.contacts VALUES (3936822673058315347);


--
-- Data for Name: events; Type: TABLE DATA; Schema: facteur; Owner: -
--

INSERT INTO facteur.events VALUES (1, '82e1b15e-1498-c719-f5ca-a16cf4a33aea', 'message', NULL, '106540352242922', 1772366400000000000, 1772366400000000000, '\x7b226b696e64223a226d657373616765222c226669656c64223a226d65737361676573222c2270686f6e655f6e756d6265725f6964223a22313036353430333532323432393232222c226d6573736167655f6964223a2277616d69642e696e222c2274797065223a2274657874222c2266726f6d223a222b3333363132333435363738222c2277615f6964223a223333363132333435363738222c22757365725f6964223a2246522e31222c2274657874223a226f7569222c2274696d657374616d70223a22323032362d30332d30315431323a30303a30305a227d');
INSERT INTO facteur.events VALUES (3, '9dc5353c-1c7a-e654-da56-aab3df48444d', 'user_preferences', NULL, '106540352242922', 1772366400000000000, 1772366400000000000, '\x7b226b696e64223a22757365725f707265666572656e636573222c226669656c64223a22757365725f707265666572656e636573222c2270686f6e655f6e756d6265725f6964223a22313036353430333532323432393232222c2266726f6d223a222b3333363132333435363738222c2277615f6964223a223333363132333435363738222c22737461747573223a2273746f70222c2274696d657374616d70223a22323032362d30332d30315431323a30303a30305a222c2264657461696c73223a7b2263617465676f7279223a226d61726b6574696e675f6d65737361676573227d7d');
INSERT INTO facteur.events VALUES (2, 'a741bb3a-8cb1-1b5c-5cca-b6536e59facf', 'status', 'wamid.1', '106540352242922', 1772366400000000000, 1772366400000000000, '\x7b226b696e64223a22737461747573222c226669656c64223a226d65737361676573222c2270686f6e655f6e756d6265725f6964223a22313036353430333532323432393232222c226d6573736167655f6964223a2277616d69642e31222c22746f223a222b3333363132333435363738222c2277615f6964223a223333363132333435363738222c22737461747573223a2273656e74222c2263616c6c6261636b5f64617461223a2266312e6f6c642e31222c2274696d657374616d70223a22323032362d30332d30315431323a30303a30305a227d');


--
-- Data for Name: inbound; Type: TABLE DATA; Schema: facteur; Owner: -
--

INSERT INTO facteur.inbound VALUES (1, 3936822673058315347, '106540352242922', 1772366400000000000, 1772366400000000000);


--
-- Data for Name: messages; Type: TABLE DATA; Schema: facteur; Owner: -
--

INSERT INTO facteur.messages VALUES ('wamid.1', 'f1.old.1', '106540352242922', '33612345678', 2, 1772366400000000000, 1772366400000000000, 1772366400000000000);


--
-- Data for Name: migrations; Type: TABLE DATA; Schema: facteur; Owner: -
--

INSERT INTO facteur.migrations VALUES (1, '2026-11-22 19:17:54.544344+00');
INSERT INTO facteur.migrations VALUES (2, '2026-11-22 19:17:54.544344+00');


--
-- Data for Name: preferences; Type: TABLE DATA; Schema: facteur; Owner: -
--

INSERT INTO facteur.preferences VALUES (3936822673058315347, '106540352242922', true, 1772366400000000000);


--
-- Data for Name: senders; Type: TABLE DATA; Schema: facteur; Owner: -
--

INSERT INTO facteur.senders VALUES ('106540352242922', 1772366400000000000);


--
-- Data for Name: windows; Type: TABLE DATA; Schema: facteur; Owner: -
--

INSERT INTO facteur.windows VALUES (3936822673058315347, '106540352242922', 1772366400000000000, 0);


--
-- Name: arrivals; Type: SEQUENCE SET; Schema: facteur; Owner: -
--

SELECT pg_catalog.setval('facteur.arrivals', 3, true);


--
-- Name: aliases aliases_pkey; Type: CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.aliases
    ADD CONSTRAINT aliases_pkey PRIMARY KEY (id);


--
-- Name: claims claims_pkey; Type: CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.claims
    ADD CONSTRAINT claims_pkey PRIMARY KEY (contact, key, freed);


--
-- Name: contacts contacts_pkey; Type: CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.contacts
    ADD CONSTRAINT contacts_pkey PRIMARY KEY (seq);


--
-- Name: events events_id_key; Type: CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.events
    ADD CONSTRAINT events_id_key UNIQUE (id);


--
-- Name: events events_pkey; Type: CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (seq);


--
-- Name: inbound inbound_pkey; Type: CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.inbound
    ADD CONSTRAINT inbound_pkey PRIMARY KEY (event);


--
-- Name: messages messages_pkey; Type: CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (id);


--
-- Name: migrations migrations_pkey; Type: CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (version);


--
-- Name: preferences preferences_pkey; Type: CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.preferences
    ADD CONSTRAINT preferences_pkey PRIMARY KEY (contact, sender);


--
-- Name: senders senders_pkey; Type: CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.senders
    ADD CONSTRAINT senders_pkey PRIMARY KEY (sender);


--
-- Name: windows windows_pkey; Type: CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.windows
    ADD CONSTRAINT windows_pkey PRIMARY KEY (contact, sender);


--
-- Name: aliases_by_contact; Type: INDEX; Schema: facteur; Owner: -
--

CREATE INDEX aliases_by_contact ON facteur.aliases USING btree (contact);


--
-- Name: claims_by_call; Type: INDEX; Schema: facteur; Owner: -
--

CREATE INDEX claims_by_call ON facteur.claims USING btree (call);


--
-- Name: claims_by_until; Type: INDEX; Schema: facteur; Owner: -
--

CREATE INDEX claims_by_until ON facteur.claims USING btree (until);


--
-- Name: events_by_message; Type: INDEX; Schema: facteur; Owner: -
--

CREATE INDEX events_by_message ON facteur.events USING btree (message) WHERE (message IS NOT NULL);


--
-- Name: inbound_by_contact; Type: INDEX; Schema: facteur; Owner: -
--

CREATE INDEX inbound_by_contact ON facteur.inbound USING btree (contact, received);


--
-- Name: messages_by_age; Type: INDEX; Schema: facteur; Owner: -
--

CREATE INDEX messages_by_age ON facteur.messages USING btree (since);


--
-- Name: messages_by_call; Type: INDEX; Schema: facteur; Owner: -
--

CREATE INDEX messages_by_call ON facteur.messages USING btree (call) WHERE (call IS NOT NULL);


--
-- Name: aliases aliases_contact_fkey; Type: FK CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.aliases
    ADD CONSTRAINT aliases_contact_fkey FOREIGN KEY (contact) REFERENCES facteur.contacts(seq);


--
-- Name: claims claims_contact_fkey; Type: FK CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.claims
    ADD CONSTRAINT claims_contact_fkey FOREIGN KEY (contact) REFERENCES facteur.contacts(seq);


--
-- Name: inbound inbound_contact_fkey; Type: FK CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.inbound
    ADD CONSTRAINT inbound_contact_fkey FOREIGN KEY (contact) REFERENCES facteur.contacts(seq);


--
-- Name: inbound inbound_event_fkey; Type: FK CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.inbound
    ADD CONSTRAINT inbound_event_fkey FOREIGN KEY (event) REFERENCES facteur.events(seq) ON DELETE CASCADE;


--
-- Name: preferences preferences_contact_fkey; Type: FK CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.preferences
    ADD CONSTRAINT preferences_contact_fkey FOREIGN KEY (contact) REFERENCES facteur.contacts(seq);


--
-- Name: windows windows_contact_fkey; Type: FK CONSTRAINT; Schema: facteur; Owner: -
--

ALTER TABLE ONLY facteur.windows
    ADD CONSTRAINT windows_contact_fkey FOREIGN KEY (contact) REFERENCES facteur.contacts(seq);


--
-- PostgreSQL database dump complete
--


